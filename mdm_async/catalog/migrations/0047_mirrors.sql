-- Mirrors: other installations that follow a directory of this one, and directories here that follow one elsewhere.

create table mirrors (
    name text primary key,
    directory bigint not null unique,
    url text not null,
    -- What the other is shown, sealed under a key of the key store's.
    credential bytea not null,
    state text not null default 'following' check (state in ('following', 'fenced', 'stopped')),
    epoch integer not null,
    added timestamptz not null default now(),
    added_by text not null,
    -- When the other answered last, and to which node.
    heard timestamptz,
    heard_by text,
    -- Rows of the audit up to this id have been sent.
    told bigint not null default 0,
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);

-- What may be other than the mirror has it: not the values, which are read when they are sent.
create table mirror_changes (
    id bigint generated always as identity primary key,
    mirror text not null references mirrors on delete cascade,
    -- 'entry': of this GUID. 'inside': what is in the directory of this GUID, after that name. 'profile', 'mapping': of
    -- this name. 'shred': the image of this id.
    kind text not null check (kind in ('entry', 'inside', 'profile', 'mapping', 'shred')),
    guid uuid,
    name text collate "C",
    at timestamptz not null default clock_timestamp(),
    due timestamptz not null default '-infinity',
    attempts integer not null default 0,
    failure text
);
create index mirror_changes_next on mirror_changes (mirror, (kind = 'shred'), id);

-- What the mirror has: entries, images (or may have, for their bytes are on their way), profiles with their digest.
create table mirrored_entries (
    mirror text not null references mirrors on delete cascade,
    guid uuid not null,
    primary key (mirror, guid)
);
create table mirrored_images (
    mirror text not null references mirrors on delete cascade,
    image uuid not null,
    primary key (mirror, image)
);
create table mirrored_profiles (
    mirror text not null references mirrors on delete cascade,
    name text not null,
    primary key (mirror, name)
);

-- The mirrors that a change of an entry is for, each with the GUID that is to be looked at there: the entry's, or that
-- of the mirror's directory when it inherits from the entry.
create function mirrors_of(entry bigint, guid uuid) returns table (mirror text, guid uuid) language sql stable as $$
    with recursive up as (
        select $1 as id
        union all
        select e.parent from up cross join lateral (
            select parent from entries where entries.id = up.id and parent is not null limit 1) e
    )
    select m.name, $2 from mirrors m where m.state = 'following' and (
        m.directory in (select up.id from up)
        or exists (select from mirrored_entries d where d.mirror = m.name and d.guid = $2))
    union
    select m.name, e.guid from mirrors m cross join lateral (
        with recursive above as (
            select entries.id, entries.parent, entries.guid from entries where entries.id = m.directory
            union all
            select e.id, e.parent, above.guid from above cross join lateral (
                select entries.id, entries.parent from entries where entries.id = above.parent limit 1) e
        ) select above.guid from above where above.id = $1
    ) e where m.state = 'following'
$$;

create function note_entries_for_mirrors() returns trigger language plpgsql as $$
begin
    if not exists (select from mirrors) then
        return null;
    end if;
    if tg_op = 'UPDATE' then
        insert into mirror_changes (mirror, kind, guid)
            select m.mirror, 'entry', m.guid from (
                select id, guid, parent, name, image, only_view, acl, default_acl, default_view, delivery, views, opaque,
                    force, rejected from after_it
                except
                select id, guid, parent, name, image, only_view, acl, default_acl, default_view, delivery, views, opaque,
                    force, rejected from before_it
            ) changed cross join lateral mirrors_of(changed.id, changed.guid) m;
    else
        insert into mirror_changes (mirror, kind, guid)
            select m.mirror, 'entry', m.guid from touched cross join lateral mirrors_of(touched.id, touched.guid) m;
    end if;
    return null;
end $$;
create trigger entries_inserted_for_mirrors after insert on entries referencing new table as touched
    for each statement execute function note_entries_for_mirrors();
create trigger entries_updated_for_mirrors after update on entries
    referencing old table as before_it new table as after_it
    for each statement execute function note_entries_for_mirrors();
create trigger entries_removed_for_mirrors after delete on entries referencing old table as touched
    for each statement execute function note_entries_for_mirrors();

create function note_profiles_for_mirrors() returns trigger language plpgsql as $$
begin
    insert into mirror_changes (mirror, kind, name) select mirror, 'profile', name from mirrored_profiles
        where name = new.name;
    return null;
end $$;
create trigger profiles_for_mirrors after insert or update on profiles
    for each row execute function note_profiles_for_mirrors();

create function note_mappings_for_mirrors() returns trigger language plpgsql as $$
begin
    insert into mirror_changes (mirror, kind, name)
        select name, 'mapping', case when tg_op = 'DELETE' then old.project else new.project end from mirrors
        where state = 'following';
    return null;
end $$;
create trigger mappings_for_mirrors after insert or update or delete on project_mappings
    for each row execute function note_mappings_for_mirrors();

create function note_shreds_for_mirrors() returns trigger language plpgsql as $$
begin
    insert into mirror_changes (mirror, kind, guid) select mirror, 'shred', image from mirrored_images
        where image = new.image;
    return null;
end $$;
create trigger shreds_for_mirrors after insert on shredded_images
    for each row execute function note_shreds_for_mirrors();

create function note_releases_for_mirrors() returns trigger language plpgsql as $$
begin
    insert into mirror_changes (mirror, kind, guid)
        select m.mirror, 'entry', m.guid from mirrored_images i
            join entries e on e.image = i.image
            cross join lateral mirrors_of(e.id, e.guid) m
        where i.image = new.image;
    return null;
end $$;
create trigger releases_for_mirrors after insert or update on releases
    for each row execute function note_releases_for_mirrors();
create index mirrored_images_image on mirrored_images (image);
create index mirrored_profiles_name on mirrored_profiles (name);

-- Directories here that follow one of another installation's.
create table followed (
    name text primary key,
    directory bigint not null unique,
    credential bytea not null unique,
    state text not null default 'following' check (state in ('following', 'promoted')),
    epoch integer not null default 1,
    -- The installation that was the first to show the credential: no other may.
    first uuid,
    added timestamptz not null default now(),
    added_by text not null,
    heard timestamptz,
    -- By the first's clock: all that was changed there before is here.
    complete timestamptz
);
create table followed_images (
    name text not null references followed on delete cascade,
    theirs uuid not null,
    image uuid not null,
    primary key (name, theirs)
);
create index followed_images_image on followed_images (image);

-- What is to come sealed, and the key that opens it.
create table followed_uploads (
    id uuid primary key,
    name text not null references followed on delete cascade,
    secret bytea not null,
    record jsonb not null,
    at timestamptz not null default now()
);
create index followed_uploads_at on followed_uploads (at);
create index followed_uploads_name on followed_uploads (name);

-- Keys of projects that came from another installation: nodes that know another one read it anew.
create table followed_keys (
    project text primary key,
    name text not null,
    at timestamptz not null default clock_timestamp()
);

-- Directories that nobody changes anything in. `why`: it 'follows' another, another is in its place ('fenced'), or it is
-- not known whether one is ('unheard').
create table read_only (
    directory bigint primary key,
    mirror text not null,
    why text not null check (why in ('follows', 'fenced', 'unheard'))
);

create function keep_to_read_only() returns trigger language plpgsql as $$
declare
    here bigint[];
    found_ read_only;
    excused text := coalesce(current_setting('mdm.mirror', true), '');
begin
    if excused = 'follows' or not exists (select from read_only) then
        if tg_op = 'DELETE' then
            return old;
        end if;
        return new;
    end if;
    if tg_op = 'INSERT' then
        here := array[new.parent];
    elsif tg_op = 'DELETE' then
        here := array[old.id, old.parent];
    else
        here := array[old.id, old.parent, new.parent];
    end if;
    with recursive up as (
        select unnest(here) as id
        union
        select e.parent from up cross join lateral (select parent from entries where entries.id = up.id limit 1) e
    ), above as (
        select r.directory, r.directory as id from read_only r
        union
        select above.directory, e.parent from above cross join lateral (
            select parent from entries where entries.id = above.id limit 1) e
    )
    select r.* into found_ from read_only r where r.directory in (select id from up)
        -- What leads there keeps its name.
        or tg_op <> 'INSERT' and old.is_directory and exists (
            select from above where above.directory = r.directory and above.id = old.id)
            and (tg_op = 'DELETE' or new.parent is distinct from old.parent or new.name <> old.name)
        limit 1;
    if found and not (excused = 'shred' and found_.why <> 'follows') then
        raise exception '%', found_.mirror using errcode =
            case found_.why when 'follows' then 'MD441' when 'fenced' then 'MD442' else 'MD443' end;
    end if;
    if tg_op = 'DELETE' then
        return old;
    end if;
    return new;
end $$;
create trigger entries_keep_to_read_only before insert or delete or update of guid, parent, name, image, acl,
    default_acl, default_view, delivery, views, only_view, opaque, force on entries
    for each row execute function keep_to_read_only();

-- As before, but for what comes from the site that is followed: locks are not followed, and keep nobody there.
create or replace function demand_unlocked(parent bigint, name text, member boolean, below bigint) returns void
language plpgsql as $$
declare
    shown uuid[] := coalesce(nullif(current_setting('mdm.lock_tokens', true), ''), '{}')::uuid[];
begin
    if current_setting('mdm.mirror', true) = 'follows' then
        return;
    end if;
    if exists (
        select from locks_over($1, $2) o where o.height = 0 or o.deep or (member and o.height = 1)
        group by o.root having not bool_or(o.token = any(shown))
    ) or below is not null and exists (
        select from locks_below(below) l where l.expires > now()
        group by l.parent, l.name having not bool_or(l.token = any(shown))
    ) then
        raise exception 'a name is locked' using errcode = 'MD423';
    end if;
end $$;
