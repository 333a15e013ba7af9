-- What CI jobs need: who holds an account by its name, projects by the numbers that ID tokens prove, check-ins, and
-- tokens that speak for one project.

alter table connection
    -- The first segment of the account's name, in lower case.
    add column login text collate "C" not null default '',
    -- It keeps its account from other organizations: not by a claim, and not when it was rejected.
    add column holds boolean not null default true,
    add column rejected boolean not null default false;
update connection set login = lower(split_part(record -> 'account' ->> 'login', '/', 1));
create index connection_by_login on connection (host, login);

alter table project
    add column namespace bigint,
    -- Proven, and still there.
    add column counts boolean not null default true;
update project set counts = state not in ('removed', 'moved_away');
create index project_by_number on project (host, external_id) where counts;
create index project_by_namespace on project (host, namespace) where counts and namespace is not null;

alter table token add column scope json;
create index token_by_end on token (expires_at) where scope is not null;

create table check_in (
    id text collate "C" primary key,
    at bigint not null,
    version bigint not null,
    record json not null
);
create index check_in_by_time on check_in (at);
