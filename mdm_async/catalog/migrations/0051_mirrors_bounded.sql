-- What a mirror is to be sent is one row for each thing, however often that changes; what is not in a mirror waits for
-- none; and what leads to a mirrored directory stays where it is.

-- The nearest of these directories at or above an entry; null when there is none.
create function nearest_of(directories bigint[], entry bigint) returns bigint language plpgsql stable as $$
declare
    here bigint := entry;
begin
    while here is not null loop
        if here = any(directories) then
            return here;
        end if;
        select parent into here from entries where id = here;
    end loop;
    return null;
end $$;

create or replace function keep_to_read_only() returns trigger language plpgsql as $$
declare
    barred bigint[];
    hit bigint;
    found_ read_only;
    excused text := coalesce(current_setting('mdm.mirror', true), '');
begin
    if excused <> 'follows' then
        barred := array(select directory from read_only);
    end if;
    if barred <> '{}' then
        if tg_op = 'INSERT' then
            hit := nearest_of(barred, new.parent);
        elsif old.id = any(barred) then
            hit := old.id;
        else
            hit := nearest_of(barred, old.parent);
        end if;
        if hit is null and tg_op = 'UPDATE' and new.parent is distinct from old.parent then
            hit := nearest_of(barred, new.parent);
        end if;
        -- What leads there keeps its name.
        if hit is null and tg_op <> 'INSERT' and old.is_directory
            and (tg_op = 'DELETE' or (new.parent, new.name) is distinct from (old.parent, old.name)) then
            select one into hit from unnest(barred) one where nearest_of(array[old.id], one) is not null limit 1;
        end if;
    end if;
    if hit is not null then
        select * into found_ from read_only where directory = hit;
        if found and not (excused = 'shred' and found_.why <> 'follows') then
            raise exception '%', found_.mirror using errcode =
                case found_.why when 'follows' then 'MD441' when 'fenced' then 'MD442' else 'MD443' end;
        end if;
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end $$;

-- The second site has the directory by the same path.
create function keep_mirrored_in_place() returns trigger language plpgsql as $$
declare
    mirror text;
begin
    select m.name into mirror from mirrors m
        where m.state = 'following' and nearest_of(array[old.id], m.directory) is not null limit 1;
    if found then
        raise exception '%', mirror using errcode = 'MD444';
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end $$;
create trigger entries_mirrored_keep_their_names before update of parent, name on entries for each row
    when (old.is_directory and (old.parent, old.name) is distinct from (new.parent, new.name))
    execute function keep_mirrored_in_place();
create trigger entries_mirrored_stay before delete on entries for each row
    when (old.is_directory) execute function keep_mirrored_in_place();

-- `version` says whether something has changed again since the row was read.
alter table mirror_changes add version integer not null default 0, alter due set default clock_timestamp();
update mirror_changes set name = null where name = '';
delete from mirror_changes c using mirror_changes older where older.mirror = c.mirror and older.kind = c.kind
    and older.guid is not distinct from c.guid and older.name is not distinct from c.name and older.id < c.id;
update mirror_changes set due = at where due = '-infinity';
create unique index mirror_changes_one on mirror_changes (mirror, kind, guid, name) nulls not distinct;
drop index mirror_changes_next;
create index mirror_changes_next on mirror_changes (mirror, (kind = 'shred'), due, id);
create index mirror_changes_failed on mirror_changes (mirror, failure) where failure is not null;

-- It is sent once more, and not waited for any longer when it failed before.
create function note_for_mirror(mirror text, kind text, guid uuid, name text) returns void language sql as $$
    insert into mirror_changes as c (mirror, kind, guid, name) values ($1, $2, $3, $4)
        on conflict (mirror, kind, guid, name) do update
        set version = c.version + 1, attempts = 0, due = least(c.due, clock_timestamp())
$$;

-- A plan is kept: to make one for each array anew takes longer than what it is for.
create or replace function note_entries_for_mirrors() returns trigger language plpgsql
set plan_cache_mode = force_generic_plan as $$
declare
    ids bigint[];
    guids uuid[];
    parents bigint[];
    one record;
begin
    if not exists (select from mirrors where state = 'following') then
        return null;
    end if;
    if tg_op = 'UPDATE' then
        select array_agg(id), array_agg(c.guid), array_agg(parent) into ids, guids, parents from (
            select id, guid, parent, name, image, only_view, acl, default_acl, default_view, delivery, views, opaque,
                force, rejected from after_it
            except
            select id, guid, parent, name, image, only_view, acl, default_acl, default_view, delivery, views, opaque,
                force, rejected from before_it
        ) c;
    else
        select array_agg(id), array_agg(t.guid), array_agg(parent) into ids, guids, parents from touched t;
    end if;
    if ids is null then
        return null;
    end if;
    for one in select name, directory from mirrors where state = 'following' order by name loop
        insert into mirror_changes as c (mirror, kind, guid)
            select one.name, 'entry', t.guid from unnest(ids, guids, parents) t (id, guid, parent)
                where t.parent in (
                        select parent from (select distinct unnest(parents) as parent) p
                            where nearest_of(array[one.directory], parent) is not null)
                    or exists (select from mirrored_entries d where d.mirror = one.name and d.guid = t.guid)
            union
            -- It inherits from what is above.
            select one.name, 'entry', e.guid from entries e
                where e.id = one.directory and nearest_of(ids, one.directory) is not null
            order by 3
            on conflict (mirror, kind, guid, name) do update
            set version = c.version + 1, attempts = 0, due = least(c.due, clock_timestamp());
    end loop;
    return null;
end $$;

create or replace function note_profiles_for_mirrors() returns trigger language plpgsql as $$
begin
    perform note_for_mirror(mirror, 'profile', null, name) from mirrored_profiles where name = new.name order by mirror;
    return null;
end $$;

create or replace function note_mappings_for_mirrors() returns trigger language plpgsql as $$
begin
    perform note_for_mirror(name, 'mapping', null, case when tg_op = 'DELETE' then old.project else new.project end)
        from mirrors where state = 'following' order by name;
    return null;
end $$;

create or replace function note_shreds_for_mirrors() returns trigger language plpgsql as $$
begin
    perform note_for_mirror(mirror, 'shred', image, null) from mirrored_images where image = new.image order by mirror;
    return null;
end $$;

create or replace function note_releases_for_mirrors() returns trigger language plpgsql as $$
begin
    perform note_for_mirror(r.mirror, 'entry', r.guid, null) from (
        select distinct m.name as mirror, e.guid from mirrored_images i
            join mirrors m on m.name = i.mirror and m.state = 'following'
            join entries e on e.image = i.image
        where i.image = new.image and nearest_of(array[m.directory], e.id) is not null order by 1, 2) r;
    return null;
end $$;
drop function mirrors_of(bigint, uuid);

-- Why the mirror does not take a profile; what needs it waits.
alter table mirrored_profiles add failure text;

-- By which the first signs all that it says, and how often it has said something: nothing counts twice.
alter table followed add key bytea, add said bigint not null default 0;

-- The first's images that were shredded: what of them is still on its way is not taken.
create table followed_shreds (
    name text not null references followed on delete cascade,
    theirs uuid not null,
    primary key (name, theirs)
);
