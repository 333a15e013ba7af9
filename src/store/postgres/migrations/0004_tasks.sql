-- Work to be done outside, and what forges believe us by.

create table task (
    id text collate "C" primary key,
    organization text collate "C" not null,
    connection text collate "C" not null,
    kind text not null,
    state text not null,
    -- When it may be taken; of one that is at work, when its lease ends. Null: it has ended.
    due_at bigint,
    wished_at bigint not null,
    finished_at bigint,
    fence bigint not null,
    record json not null
);
create index task_due on task (due_at, id) where due_at is not null;
create index task_by_time on task (wished_at, id);

-- Sealed: without the master key it opens nothing. It names its data key itself.
create table credential (
    owner text collate "C" not null,
    kind text collate "C" not null,
    organization text collate "C" not null,
    record json not null,
    primary key (owner, kind)
);
