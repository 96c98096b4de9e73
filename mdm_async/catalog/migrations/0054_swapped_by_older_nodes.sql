-- Nodes of the version before put another image in an entry's place and know no binding: the one that it had goes, and
-- the entry is bound anew as long as such nodes may run. Afterwards it is damaged without one, as before.
create function unbind_swapped() returns trigger language plpgsql as $$
begin
    new.binding := null;
    return new;
end $$;
-- They say, too, when it was done.
create trigger entries_unbound_when_swapped before update of image on entries for each row
    when (new.binding = old.binding and new.modified <> old.modified
        and (new.guid, new.image, new.only_view) is distinct from (old.guid, old.image, old.only_view))
    execute function unbind_swapped();
