-- Who belongs: readings of the forges' lists, removals that wait for a person, and the audit log as a chain.

-- How far the reading of an account's lists has come, and the pages that it has read.
create table list_reading (
    connection text collate "C" not null,
    subject text collate "C" not null,
    generation bigint not null,
    pages integer not null,
    record json not null,
    primary key (connection, subject)
);
create table kept_page (
    connection text collate "C" not null,
    subject text collate "C" not null,
    generation bigint not null,
    number integer not null,
    record json not null,
    primary key (connection, subject, generation, number)
);

-- Removals that wait for a person, one per organization.
create table member_hold (
    organization text collate "C" primary key,
    version bigint not null,
    record json not null
);

alter table token
    -- The member it stands for.
    add column member text collate "C";
create index token_by_member on token (member) where member is not null;

alter table audit
    add column was text,
    add column became text,
    add column why text,
    -- Its place in its organization's chain; lines from before there were chains have none.
    add column number bigint,
    add column hash text;
create unique index audit_chain on audit (coalesce(organization, ''), number) where number is not null;

-- The last line of each chain; the operator's own has no name.
create table audit_head (
    organization text collate "C" primary key,
    number bigint not null,
    hash text not null
);
