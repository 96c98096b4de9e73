-- Projects' own mappings of patients to subjects, sealed under the project's key, which the catalog does not hold.

create table project_mappings (
    project text primary key,
    sealed bytea not null,
    -- Keyed, of what the mapping says: enough to see that it has changed.
    digest text not null,
    patients integer not null,
    set_at timestamptz not null default now(),
    set_by text not null
);
