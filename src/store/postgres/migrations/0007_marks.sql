-- Small marks under a name, by which a process knows where another one has stopped.

create table mark (
    name text collate "C" primary key,
    version bigint not null,
    text text not null
);
