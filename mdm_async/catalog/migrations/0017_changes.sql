-- The change feed: what transfer URLs hang on and was changed, written in the transaction of the change, by whoever
-- makes it. Each node reads what was committed since it looked last, and looks again at what that can touch. Nodes of
-- the version before know nothing of it: installation.acl_epoch goes on for them.

create table changes (
    transaction xid8 not null default pg_current_xact_id(),
    at timestamptz not null default clock_timestamp(),
    -- Whose ACL, place, image, default view or delivery is another, or that were removed: with all that lies below.
    entries bigint[],
    -- Revoked, or with another expiry.
    tokens bigint[],
    -- Doomed.
    images uuid[],
    -- Grants to read with another life.
    turls bytea[],
    -- Grants released, aborted or failed: these are over for good.
    ended bytea[]
);
create index changes_transaction on changes (transaction);

-- What was visible in the snapshot `changes_mark` is trimmed once that is old enough; it was, in snapshots whose xmax is
-- not after `changes_trimmed`.
alter table installation
    add column changes_mark pg_snapshot not null default pg_current_snapshot(),
    add column changes_marked timestamptz not null default now(),
    add column changes_trimmed xid8 not null default '0';

-- Sets, not joins: a plan that was made for one row is kept for a million.
create function note_entries_changed() returns trigger language plpgsql as $$
declare
    found bigint[] := array(
        select id from (
            select id, parent, name, image, only_view, acl, default_acl, default_view, delivery from after_it
            except
            select id, parent, name, image, only_view, acl, default_acl, default_view, delivery from before_it
        ) changed
    );
begin
    if cardinality(found) > 0 then
        insert into changes (entries) values (found);
    end if;
    return null;
end $$;
create trigger entries_changed after update on entries
    referencing old table as before_it new table as after_it
    for each statement execute function note_entries_changed();

create function note_entries_removed() returns trigger language plpgsql as $$
declare
    found bigint[] := array(select id from before_it);
begin
    if cardinality(found) > 0 then
        insert into changes (entries) values (found);
    end if;
    return null;
end $$;
create trigger entries_removed after delete on entries
    referencing old table as before_it
    for each statement execute function note_entries_removed();

create function note_tokens_changed() returns trigger language plpgsql as $$
declare
    found bigint[] := array(select id from after_it);
begin
    if cardinality(found) > 0 then
        insert into changes (tokens) values (found);
    end if;
    return null;
end $$;
create trigger tokens_changed after update on tokens
    referencing new table as after_it
    for each statement execute function note_tokens_changed();

create function note_images_doomed() returns trigger language plpgsql as $$
declare
    found uuid[] := array(
        select id from after_it where doomed is not null except select id from before_it where doomed is not null
    );
begin
    if cardinality(found) > 0 then
        insert into changes (images) values (found);
    end if;
    return null;
end $$;
create trigger images_doomed after update on images
    referencing old table as before_it new table as after_it
    for each statement execute function note_images_doomed();

create function note_grants_changed() returns trigger language plpgsql as $$
declare
    over bytea[] := array(select turl from after_it where state in ('released', 'aborted', 'failed'));
    other bytea[] := array(select turl from after_it where state = 'pinned');
begin
    if cardinality(over) + cardinality(other) > 0 then
        insert into changes (turls, ended) values (other, over);
    end if;
    return null;
end $$;
create trigger grants_changed after update on grants
    referencing new table as after_it
    for each statement execute function note_grants_changed();
