-- The first schema. Times are milliseconds since 1970-01-01 UTC, as everywhere in the program: no time zone, no rounding.
-- Hashes of sixteen bytes are kept as uuid, the type of that size. Texts sort byte by byte, so that both stores list in
-- one order.

-- Who may open what: the check value of the master key, and the data keys wrapped by it. The master key is never here.
create table keyring (
    one boolean primary key default true check (one),
    instance uuid not null,
    check_value text not null
);
create table data_key (
    id integer generated always as identity primary key,
    scope text not null unique,
    wrapped text not null,
    created_at bigint not null
);

-- A delivery. State 0: kept, but nobody has read yet what it is about. 1 queued, 2 working, 3 waiting, 4 done,
-- 5 ignored, 6 superseded, 7 dead.
create table delivery (
    id uuid primary key,
    -- The order in which deliveries were taken: 1024 times the number of the transaction, and the place in it.
    arrival bigint not null,
    source text collate "C" not null,
    -- Null once a later delivery with the same id of the forge counts as another one.
    dedupe uuid,
    received_at bigint not null,
    -- Null where only the record was brought here, without its bytes.
    body_hash uuid,
    external_id text collate "C" not null,
    hook_id text not null,
    secret_slot smallint not null,
    body_bytes bigint not null,
    state smallint not null default 0,
    duplicates integer not null default 0,
    provider text,
    event text,
    action text,
    organization text collate "C",
    connection text collate "C",
    lane text,
    blocks boolean not null default false,
    -- It left its lane for one of its own.
    aside boolean not null default false,
    replay_suspected boolean not null default false,
    attempts integer not null default 0,
    -- Attempts before the last replay; they do not count against the schedule.
    attempts_forgiven integer not null default 0,
    -- Rises with each claim; whoever settles must name it.
    fence bigint not null default 0,
    failing_since bigint,
    last_error text,
    reason text,
    finished_at bigint
);
create unique index delivery_dedupe on delivery (dedupe);
create index delivery_unindexed on delivery (arrival) where state = 0;
create sequence delivery_arrival;
create index delivery_by_state on delivery (state, id) where state > 0;
create index delivery_by_source on delivery (source, id) where state > 0;
create index delivery_by_external_id on delivery (external_id, id) where state > 0;
create index delivery_by_organization on delivery (organization, id) where organization is not null;
create index delivery_by_connection on delivery (connection, id) where connection is not null;
create index delivery_unbound on delivery (id) where state = 3 and reason = 'unbound';

-- What came over the wire, compressed and sealed; apart from the delivery, so that lists and claims stay narrow.
-- It is packed already (external), and most of it fits in the row (toast_tuple_target).
create table payload (
    delivery uuid primary key,
    frame bytea not null
) with (toast_tuple_target = 8160);
alter table payload alter column frame set storage external;

-- The first delivery with a body: a later one with an equal body is suspected of being a replay.
create table body_seen (
    hash uuid primary key,
    delivery uuid not null,
    received_at bigint not null
);
create index body_seen_by_age on body_seen (received_at);

-- What is unfinished, each delivery in one lane. One per lane has its turn: the unique index says so.
create table queue (
    delivery uuid primary key references delivery (id),
    lane uuid not null,
    position bigint generated always as identity,
    turn boolean not null,
    -- When it may be taken; for one that is taken, when its lease ends.
    due_at bigint not null,
    -- It failed, and those behind it wait.
    blocked boolean not null default false
) with (autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);
create unique index queue_turn on queue (lane) where turn;
create index queue_due on queue (due_at, lane) where turn;
create index queue_line on queue (lane, position) where not turn;
create index queue_blocked on queue (delivery) where blocked;

create table attempt (
    delivery uuid not null references delivery (id) on delete cascade,
    number integer not null,
    started_at bigint not null,
    took_ms bigint,
    led_to smallint,
    error text,
    primary key (delivery, number)
);

-- What each process reads for its index this moment, and how many processes died over which delivery. What these say
-- outlives a process, which a body may kill, and not the server, which no body can: so nothing waits for a disk.
create unlogged table reading (
    process uuid primary key,
    -- The process holds an advisory lock of this number as long as it lives.
    lock integer not null,
    deliveries uuid[] not null,
    ended boolean not null default false
);
create unlogged table death (
    delivery uuid primary key,
    count integer not null
);

-- How many deliveries are in each state, in stripes, so that connections do not wait for each other's counters.
create table tally (
    stripe smallint not null,
    state smallint not null,
    reason text not null,
    n bigint not null,
    primary key (stripe, state, reason)
) with (fillfactor = 50, autovacuum_vacuum_scale_factor = 0.02, autovacuum_vacuum_cost_delay = 0);

create function tally_key(state smallint, reason text) returns text language sql immutable
    return case when state = 7 then coalesce(reason, 'unknown') else '' end;

create function tally_inserted() returns trigger language plpgsql as $$
begin
    insert into tally as t (stripe, state, reason, n)
    select pg_backend_pid() % 64, a.state, tally_key(a.state, a.reason), count(*)
    from after_rows a group by 2, 3 order by 2, 3
    on conflict (stripe, state, reason) do update set n = t.n + excluded.n;
    return null;
end $$;

create function tally_deleted() returns trigger language plpgsql as $$
begin
    insert into tally as t (stripe, state, reason, n)
    select pg_backend_pid() % 64, b.state, tally_key(b.state, b.reason), -count(*)
    from before_rows b group by 2, 3 order by 2, 3
    on conflict (stripe, state, reason) do update set n = t.n + excluded.n;
    return null;
end $$;

create function tally_updated() returns trigger language plpgsql as $$
begin
    insert into tally as t (stripe, state, reason, n)
    select pg_backend_pid() % 64, m.state, tally_key(m.state, m.reason), sum(m.n)
    from (
        select state, reason, 1 as n from after_rows
        union all select state, reason, -1 from before_rows
    ) m
    group by 2, 3 having sum(m.n) <> 0 order by 2, 3
    on conflict (stripe, state, reason) do update set n = t.n + excluded.n;
    return null;
end $$;

create trigger delivery_inserted after insert on delivery
    referencing new table as after_rows for each statement execute function tally_inserted();
create trigger delivery_deleted after delete on delivery
    referencing old table as before_rows for each statement execute function tally_deleted();
create trigger delivery_updated after update on delivery
    referencing new table as after_rows old table as before_rows
    for each statement execute function tally_updated();

-- The records. Each has columns for what it is found and sorted by; the record itself is one JSON document, which grows
-- by fields without a migration. It is json, not jsonb: jsonb refuses characters that a forge may well send.
create table organization (
    slug text collate "C" primary key,
    version bigint not null,
    record json not null
);
create table source (
    key text collate "C" primary key,
    version bigint not null,
    record json not null
);
create table connection (
    key text collate "C" primary key,
    organization text collate "C" not null,
    source text collate "C" not null,
    host text collate "C" not null,
    installation bigint,
    account bigint,
    version bigint not null,
    record json not null
);
create index connection_by_organization on connection (organization, key);
create index connection_by_source on connection (source, key);
create index connection_by_installation on connection (host, installation) where installation is not null;
create index connection_by_account on connection (host, account) where account is not null;

create table project (
    organization text collate "C" not null,
    host text collate "C" not null,
    external_id bigint not null,
    id text collate "C" not null unique,
    connection text collate "C" not null,
    -- In lower case.
    path text collate "C" not null,
    state text not null,
    version bigint not null,
    record json not null,
    primary key (organization, host, external_id)
);
create index project_by_path on project (organization, path, id);
create index project_by_connection on project (connection, organization, path, id);

create table member (
    organization text collate "C" not null,
    host text collate "C" not null,
    external_id bigint not null,
    id text collate "C" not null unique,
    -- In lower case.
    login text collate "C" not null,
    connection text collate "C" not null,
    state text not null,
    version bigint not null,
    record json not null,
    primary key (organization, host, external_id)
);
create index member_by_login on member (organization, login, host, external_id);
create index member_by_connection on member (connection);

create table pipeline (
    organization text collate "C" not null,
    host text collate "C" not null,
    project bigint not null,
    external_id bigint not null,
    -- p: a pipeline, j: a job, s: a suite.
    kind text collate "C" not null,
    version bigint not null,
    record json not null,
    primary key (organization, host, project, external_id, kind)
);

create table audit (
    sequence bigint generated always as identity primary key,
    at bigint not null,
    organization text collate "C",
    actor text not null,
    action text not null,
    subject text not null,
    detail text not null
);
create index audit_by_time on audit (at, sequence);
create index audit_by_organization on audit (organization, at, sequence) where organization is not null;

create table token (
    id text collate "C" primary key,
    hash bytea not null unique,
    kind text not null,
    organization text collate "C" not null,
    name text,
    created_at bigint not null,
    expires_at bigint not null,
    revoked_at bigint
);
create table setup_code (
    one boolean primary key default true check (one),
    hash bytea not null,
    expires_at bigint not null
);
-- An import that has not ended.
create table import_mark (
    one boolean primary key default true check (one),
    came_from text not null,
    items bigint not null,
    sum text not null
);
create table probe (
    one boolean primary key default true check (one),
    at bigint not null
);
insert into probe (at) values (0);
