-- A task may be about all organizations, and need no connection: replays of many deliveries.
alter table task
    alter column organization drop not null,
    alter column connection drop not null;
