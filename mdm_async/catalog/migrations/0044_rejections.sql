-- Rejection notes (IHE RAD TF, Imaging Object Change Management) hide the instances that they name.

-- What a note says, whoever brought it: why (a code of DCM), and of which instances, by keyed digests of their UIDs.
create table rejection_notes (
    image uuid primary key references images on delete cascade,
    code integer not null,
    -- Once it has a name: its entry, and the directory below which it hides what comes later, of this writer (null: of
    -- anybody).
    entry bigint,
    directory bigint,
    writer text
);
create table rejected_uids (
    note uuid not null references rejection_notes on delete cascade,
    instance bytea not null,
    primary key (note, instance)
);
create index rejected_uids_by_instance on rejected_uids (instance);

-- Images that are hidden, and the notes that count for them.
create table rejections (
    image uuid not null references images on delete cascade,
    note uuid not null references rejection_notes on delete cascade,
    at timestamptz not null default now(),
    primary key (image, note)
);
create index rejections_by_note on rejections (note);

-- What is read of them is judged anew, through a cohort too.
create function note_images_rejected() returns trigger language plpgsql as $$
declare
    found uuid[] := array(select distinct image from after_it);
begin
    if cardinality(found) > 0 then
        insert into changes (images) values (found);
    end if;
    return null;
end $$;
create trigger images_rejected after insert on rejections referencing new table as after_it
    for each statement execute function note_images_rejected();

-- The code by which a file's image is hidden: as `rejections` says it, so that whoever asks has it at hand.
alter table entries add column rejected integer;
create index entries_rejected on entries (id) where rejected is not null;

create function is_of_same_patient(note uuid, other uuid) returns boolean language sql stable as $$
    -- 0010,0000: the digest of Patient ID and issuer; of images that came before it was noted, 0010,0020.
    select case when exists (select from blind_values where image = other and tag = 1048576)
        then exists (select from blind_values a, blind_values b where a.image = note and b.image = other
            and a.tag = 1048576 and b.tag = 1048576 and a.blind = b.blind)
        else not exists (
            (select blind from blind_values where image = note and tag = 1048608)
            except (select blind from blind_values where image = other and tag = 1048608))
        and not exists (
            (select blind from blind_values where image = other and tag = 1048608)
            except (select blind from blind_values where image = note and tag = 1048608)) end
$$;

create function writer_of(image_ uuid) returns text language sql stable as $$
    -- What was registered is its archive's.
    select coalesce(i.brought_by, 'pacs:' || s.pacs) from images i left join sources s on s.id = i.source
        where i.id = image_
$$;

create function is_at_or_below(entry_ bigint, directory_ bigint) returns boolean language sql stable as $$
    with recursive up as (
        select entry_ as id
        union all select e.parent from up cross join lateral (
            select parent from entries where id = up.id offset 0) e
            where up.id <> directory_ and e.parent is not null
    ) select exists (select from up where id = directory_)
$$;

-- Whoever names an image, and whoever rejects images of its patient, wait for each other; of others' patients seldom, for
-- there are few locks: one transaction may name images of thousands. 0 stands for patients that nobody noted.
create function patient_locks(image_ uuid) returns setof integer language sql stable as $$
    select distinct 1 + (get_byte(blind, 0) & 63) from blind_values where image = image_ and tag = 1048576
    union all select 0 where not exists (select from blind_values where image = image_ and tag = 1048576)
    order by 1
$$;

create function name_rejected_image() returns trigger language plpgsql as $$
declare
    instance_ bytea := (select blind from blind_values where image = new.image and tag = 524312 limit 1);
    code_ integer;
begin
    -- Whoever rejects waits for this transaction, or has ended before what follows looks.
    perform pg_advisory_xact_lock_shared(hashtext('mdm rejections'), one) from patient_locks(new.image) one;
    if exists (select from rejected_uids where instance = instance_) and new.only_view is null
        and not exists (
            select from entries where image = new.image and id < new.id and only_view is null
        )
    then
        insert into rejections (image, note)
            select new.image, n.image from rejected_uids r join rejection_notes n on n.image = r.note
            where r.instance = instance_ and n.directory is not null
                and (n.writer is null or n.writer = writer_of(new.image))
                and is_at_or_below(new.parent, n.directory) and is_of_same_patient(n.image, new.image)
            on conflict do nothing;
    end if;
    if TG_OP = 'UPDATE' then
        -- The same instance in another version, whatever it says of its patient by now.
        insert into rejections (image, note)
            select new.image, r.note from rejections r where r.image = old.image and exists (
                select from blind_values where image = old.image and tag = 524312 and blind = instance_)
            on conflict do nothing;
    end if;
    code_ := rejected_by(new.image);
    if code_ is distinct from new.rejected then
        update entries set rejected = code_ where id = new.id;
    end if;
    return null;
end $$;

create function rejected_by(image_ uuid) returns integer language sql stable as $$
    select max(n.code) from rejections r join rejection_notes n on n.image = r.note where r.image = image_
$$;

create trigger rejected_when_named after insert on entries
    for each row when (new.image is not null) execute function name_rejected_image();
create trigger rejected_when_renewed after update of image on entries
    for each row when (old.image is distinct from new.image) execute function name_rejected_image();

-- A note whose name is removed hides nothing any more, whoever has a copy of it.
create function revoke_note() returns trigger language plpgsql as $$
begin
    if exists (select from rejection_notes where image = old.image and entry = old.id) then
        perform pg_advisory_xact_lock(hashtext('mdm rejections'), one)
            from (select 0 union select * from patient_locks(old.image) order by 1) locks (one);
        delete from rejection_notes where image = old.image;
    end if;
    return null;
end $$;
create trigger note_removed after delete on entries
    for each row when (old.image is not null) execute function revoke_note();
create trigger note_renewed after update of image on entries
    for each row when (old.image is distinct from new.image) execute function revoke_note();

create function show_again() returns trigger language plpgsql as $$
declare
    found uuid[] := array(select distinct image from gone);
begin
    if cardinality(found) > 0 then
        update entries set rejected = rejected_by(image) where id = any(array(
            select id from entries where image = any(found) and rejected is not null order by id for no key update));
    end if;
    return null;
end $$;
create trigger rejection_gone after delete on rejections referencing old table as gone
    for each statement execute function show_again();

-- As before, and whether it is hidden.
create or replace function note_entries_changed() returns trigger language plpgsql as $$
declare
    found bigint[] := array(
        select id from (
            select id, parent, name, image, only_view, acl, default_acl, default_view, delivery, rejected
            from after_it
            except
            select id, parent, name, image, only_view, acl, default_acl, default_view, delivery, rejected
            from before_it
        ) changed
    );
begin
    if cardinality(found) > 0 then
        insert into changes (entries) values (found);
    end if;
    return null;
end $$;
