-- Registrations that the catalog may name or not: one row each, until it is known.
create table mdm_keys.intents (
    registration uuid primary key,
    image uuid not null,
    at timestamptz not null default now()
);
create index intents_at on mdm_keys.intents (at);
