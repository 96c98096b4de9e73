-- De-identification profiles, the views made by them, and entries that give one view only.

create table profiles (
    name text primary key,
    -- Its TOML, as it was given.
    source text not null,
    digest text not null,
    added timestamptz not null default now(),
    added_by text not null
);

alter table views drop constraint views_state_check;
alter table views drop constraint views_check1;
alter table views add check (state in ('ready', 'refused', 'quarantined'));
alter table views add check ((state = 'ready') = (reason is null));
-- Keyed digests of the pseudonyms in this view, by which the hospital finds the image again.
alter table views add column pseudonyms bytea[] not null default '{}';
-- What scrubbing did, encrypted under the image's secret: counts, never values.
alter table views add column report bytea;
-- The stored parts that it needs: its own, and the pixels that it shares. Empty of views older than this column.
alter table views add column parts uuid[] not null default '{}';
create index views_pseudonyms on views using gin (pseudonyms);

-- Views in quarantine that somebody has looked at and let go.
create table releases (
    image uuid not null references images on delete cascade,
    view text not null,
    released_by text not null,
    at timestamptz not null default now(),
    primary key (image, view)
);

-- The views that are made of files in a directory; null: as the directory above.
alter table entries add column views text[];
-- Of a research project's own entries: the one view that they give.
alter table entries add column only_view text;
update entries set views = '{basic}' where parent is null;
create index entries_only_view on entries (only_view, parent) where only_view is not null;
create index entries_directories on entries (parent) where is_directory;
