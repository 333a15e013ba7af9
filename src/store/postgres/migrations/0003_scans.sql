-- Scanners: their runs, their findings, and command lines that a person has let in.

create table scan_counter (
    one boolean primary key default true check (one),
    last bigint not null
);
insert into scan_counter (last) values (0);
create table scan (
    unique_id text collate "C" primary key,
    number bigint not null unique,
    opened_at bigint not null,
    version bigint not null,
    record json not null
);
create table finding (
    organization text collate "C" not null,
    project text collate "C" not null,
    git_ref text collate "C" not null,
    fingerprint text collate "C" not null,
    -- In lower case.
    path text collate "C" not null,
    rule text collate "C" not null,
    last_scan bigint not null,
    is_open boolean not null,
    version bigint not null,
    record json not null,
    primary key (organization, project, git_ref, fingerprint)
);
create table approval (
    hash bytea primary key,
    organization text not null,
    approved_by text not null,
    expires_at bigint not null
);
