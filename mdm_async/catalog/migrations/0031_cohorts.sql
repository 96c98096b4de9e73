-- Cohorts: what a query or a list gave once, entries with the versions of their views, pinned until the cohort goes.

create table cohorts (
    id bigint generated always as identity primary key,
    guid uuid not null unique default gen_random_uuid(),
    -- Null: it was deleted, alone or with its directory, and goes a page at a time.
    directory bigint references entries,
    name text collate "C" not null,
    -- What was asked for; null: each entry's default view.
    view text,
    -- Null: its members are still being written down.
    members integer,
    -- The signed statement and the query, sealed: a query may quote what identifies somebody.
    sealed bytea,
    created timestamptz not null default now(),
    created_by text not null,
    unique (directory, name),
    check ((members is null) = (sealed is null))
);
create index cohorts_unfinished on cohorts (created) where members is null and directory is not null;

create table cohort_members (
    cohort bigint not null references cohorts,
    number integer not null,
    entry bigint not null,
    -- The entry's, which may have gone.
    guid uuid not null,
    -- What is pinned. The image may have been shredded.
    image uuid not null,
    view text not null,
    version text not null,
    -- Salted, of what the manifest says of it.
    digest bytea not null,
    -- Size and checksums, sealed under the secret that opens the view's bytes: they go with it.
    sealed bytea not null,
    primary key (cohort, number)
);
create unique index cohort_members_guid on cohort_members (cohort, guid);
create index cohort_members_pinned on cohort_members (image, view, version);

create table cohorts_to_remove (
    cohort bigint primary key,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index cohorts_to_remove_due on cohorts_to_remove (due);

-- Whatever deletes a cohort: its pins go, and what is pulled through it is judged anew.
create function cohorts_cut_off() returns trigger language plpgsql as $$
begin
    insert into cohorts_to_remove (cohort) values (new.id) on conflict do nothing;
    insert into changes (entries) values (array[old.directory]);
    return null;
end $$;
create trigger cohorts_cut_off after update on cohorts for each row
    when (old.directory is not null and new.directory is null)
    execute function cohorts_cut_off();

-- Through which cohort a grant reads. Its `parent` is then the cohort's directory.
alter table grants add column cohort bigint;
