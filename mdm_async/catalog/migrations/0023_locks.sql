-- Locks of names, be there an entry or not, as WebDAV has them (RFC 4918 §6): all faces and nodes keep to them.
create table locks (
    token uuid primary key,
    -- The name, in the directory of this id; 0: the root's.
    parent bigint not null,
    name text collate "C" not null,
    -- The directories that lead there, the root first: a lock goes when one of them is moved or removed.
    way bigint[] not null,
    -- All that is below is locked, too.
    deep boolean not null,
    shared boolean not null,
    -- Whose it is, as Caller.owner, and who answers for it.
    owner text not null,
    account text not null,
    -- What the client says of its owner, sealed.
    told bytea,
    expires timestamptz not null
);
create index locks_name on locks (parent, name);
create index locks_account on locks (account);
create index locks_expires on locks (expires);
create index locks_way on locks using gin (way);

-- Locks that a name has: its own (height 0), and those of directories above.
create function locks_over(parent bigint, name text)
returns table (token uuid, root text, height integer, deep boolean, shared boolean) language sql stable as $$
    with recursive up as (
        select $1 as parent, $2 collate "C" as name, 0 as height
        union all
        select coalesce(e.parent, 0), e.name, up.height + 1 from up cross join lateral (
            select entries.parent, entries.name from entries where entries.id = up.parent limit 1) e
    )
    select l.token, up.parent || '/' || up.name, up.height, l.deep, l.shared from up cross join lateral (
        select * from locks where locks.parent = up.parent and locks.name = up.name
            and locks.expires > now() and (up.height = 0 or locks.deep or up.height = 1) offset 0) l
$$;

-- Who changes a name shows the token of a lock on it: of each root one, of all roots.
create function demand_unlocked(parent bigint, name text, member boolean, below bigint) returns void
language plpgsql as $$
declare
    shown uuid[] := coalesce(nullif(current_setting('mdm.lock_tokens', true), ''), '{}')::uuid[];
begin
    if exists (
        select from locks_over($1, $2) o where o.height = 0 or o.deep or (member and o.height = 1)
        group by o.root having not bool_or(o.token = any(shown))
    ) or below is not null and exists (
        select from locks l where l.way @> array[below] and l.expires > now()
        group by l.parent, l.name having not bool_or(l.token = any(shown))
    ) then
        raise exception 'a name is locked' using errcode = 'MD423';
    end if;
end $$;

create function keep_to_locks() returns trigger language plpgsql as $$
declare
    gone boolean := tg_op = 'DELETE';
    came boolean := tg_op = 'INSERT';
    moved boolean := false;
begin
    if exists (select from locks) then
        if tg_op = 'UPDATE' then
            moved := old.parent is distinct from new.parent or old.name <> new.name;
        end if;
        if not came and old.parent is not null then
            perform demand_unlocked(old.parent, old.name, gone or moved,
                case when old.is_directory and (gone or moved) then old.id end);
        end if;
        if not gone and (came or moved) and new.parent is not null then
            perform demand_unlocked(new.parent, new.name, true, null);
        end if;
        if (gone or moved) and old.parent is not null then
            delete from locks where parent = old.parent and name = old.name;
            if old.is_directory then
                delete from locks where way @> array[old.id];
            end if;
        end if;
    end if;
    if gone then
        return old;
    end if;
    return new;
end $$;
create trigger entries_keep_to_locks before insert or delete or update of parent, name, image on entries
    for each row execute function keep_to_locks();

-- Properties that clients keep with entries (RFC 4918 §4.2), all of one sealed together.
create table dead_properties (
    entry bigint primary key references entries (id) on delete cascade,
    sealed bytea not null
);
