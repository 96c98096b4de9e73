-- Rights: defaults apart from own ACLs, delivery by directory, who asked for a transfer, recipients' keys.

-- What entries below a directory inherit; null: its own ACL.
alter table entries add column default_acl bigint references acls;
-- How views leave, such as {"identified": "clear", "deidentified": "sealed"}; what is not said is as above.
alter table entries add column delivery jsonb;
create index entries_own_acls on entries (parent, acl, name) where acl is not null;

-- Callers as they were authenticated, told once: their principals, a credential's own scopes.
create table callers (
    id bigint generated always as identity primary key,
    digest bytea not null unique,
    name text not null,
    principals text[] not null,
    scopes jsonb not null,
    limited boolean not null
);

-- Who asked, for rights are looked at again when they have changed.
alter table grants add column who bigint;
alter table grants add column guid uuid;
-- Whose request it is: a caller by a credential as strong.
alter table grants add column owner text;
drop index grants_caller;
create index grants_owner on grants (owner);

-- The key that sealed transfers go to when a request names none.
create table recipients (
    principal text primary key,
    key bytea not null check (octet_length(key) = 32),
    set_by text not null,
    at timestamptz not null default now()
);
