-- Locks in a directory, or anywhere below it: found by their way, not among all that there are. Only a bitmap scan
-- reads an index of such a kind, and connections of the server make none of their own.
create function locks_below(directory bigint) returns setof locks language sql stable
set enable_bitmapscan = on as $$
    select * from locks where way @> array[$1]
$$;

create or replace function demand_unlocked(parent bigint, name text, member boolean, below bigint) returns void
language plpgsql as $$
declare
    shown uuid[] := coalesce(nullif(current_setting('mdm.lock_tokens', true), ''), '{}')::uuid[];
begin
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

create or replace function keep_to_locks() returns trigger language plpgsql as $$
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
                delete from locks where token = any(array(select b.token from locks_below(old.id) b));
            end if;
        end if;
    end if;
    if gone then
        return old;
    end if;
    return new;
end $$;
