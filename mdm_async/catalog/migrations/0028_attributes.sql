-- What a view's bytes say of themselves, to be searched: DICOM attributes by patient, study, series and instance. Always
-- of the bytes of the view itself; of originals only sealed and as keyed digests.

-- Sets of attributes, each kept once: of a patient (1), a study (2) or a series (3) of one, which is its parent.
create table meta_sets (
    id bigint generated always as identity primary key,
    level smallint not null check (level between 1 and 3),
    parent bigint references meta_sets,
    -- Of the set and of its parents.
    digest bytea not null unique,
    attributes jsonb not null,
    check ((level = 1) = (parent is null))
);
create index meta_sets_of_parent on meta_sets (parent) where parent is not null;

-- Each value of them, to be found by it.
create table meta_values (
    set bigint not null references meta_sets on delete cascade,
    tag integer not null,
    text text collate "C",
    number double precision,
    check ((text is null) <> (number is null))
);
create index meta_values_of_set on meta_values (set);
create index meta_values_by_text on meta_values (tag, text, set) where text is not null;
create index meta_values_by_number on meta_values (tag, number, set) where number is not null;

-- Of each view that is ready; `attributes` are those of the instance.
create table view_attributes (
    image uuid not null,
    view text not null,
    version text not null,
    series bigint not null references meta_sets,
    sop_uid text collate "C",
    attributes jsonb not null,
    primary key (image, view, version),
    foreign key (image, view, version) references views (image, name, version) on delete cascade
);
create index view_attributes_of_series on view_attributes (series);
create index view_attributes_by_sop_uid on view_attributes (sop_uid) where sop_uid is not null;

-- Sets that perhaps nobody names: new ones, in case that nobody comes to, and those that somebody has ceased to. A set
-- may be here several times: so nobody who writes here waits for anybody else.
create table sets_to_check (
    id bigint generated always as identity primary key,
    set bigint not null,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index sets_to_check_due on sets_to_check (due);

create function view_attributes_gone() returns trigger language plpgsql as $$
begin
    insert into sets_to_check (set) select distinct series from gone;
    return null;
end $$;
create trigger view_attributes_gone after delete on view_attributes referencing old table as gone
    for each statement execute function view_attributes_gone();
