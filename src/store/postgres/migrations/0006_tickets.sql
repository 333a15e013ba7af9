-- One-time links, browsers' sessions and `state`s on the way to a connection.

create table ticket (
    hash bytea primary key,
    purpose text not null,
    organization text not null,
    about text not null,
    expires_at bigint not null
);
create index ticket_by_end on ticket (expires_at);
