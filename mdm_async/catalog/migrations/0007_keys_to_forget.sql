-- Registrations of images that were destroyed: the key store is told, until it has forgotten them.
create table keys_to_forget (
    registration uuid primary key,
    -- When it is next somebody's turn to tell.
    due timestamptz not null default now()
);
create index keys_to_forget_due on keys_to_forget (due);
