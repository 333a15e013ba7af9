-- Keys are rotated: a scope's newest key seals, and older ones only open, until what they have sealed was sealed anew.
alter table data_key drop constraint data_key_scope_key;
alter table data_key add column sealing boolean not null default true;
create unique index data_key_of_scope on data_key (scope) where sealing;
