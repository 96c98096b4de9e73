-- What grows with all that is stored is found by rows of its own, whoever writes the grants.

-- Uploads that are not published yet, looked at again from `due` on: when their time is over they end. One row each.
create table uploads_to_end (
    turl bytea not null,
    item integer not null,
    day date not null,
    due timestamptz not null,
    primary key (turl, item)
);
create index uploads_to_end_due on uploads_to_end (due);
create index uploads_to_end_day on uploads_to_end (day);

-- Days of which some grant lives longer than its day is kept, and until when at the most.
create table days_kept (
    day date primary key,
    until date not null
);

create function grants_upload_begun() returns trigger language plpgsql as $$
begin
    insert into uploads_to_end (turl, item, day, due) values (new.turl, new.item, new.day, new.expires)
        on conflict do nothing;
    return null;
end $$;

create function grants_live_long() returns trigger language plpgsql as $$
begin
    -- A row for many: it is written for the first of a day only.
    if not exists (select from days_kept where day = new.day and until > new.expires) then
        insert into days_kept (day, until) values (new.day, new.expires::date + 2)
            on conflict (day) do update set until = greatest(days_kept.until, excluded.until);
    end if;
    return null;
end $$;

create trigger grants_upload_begun after insert on grants for each row
    when (new.operation = 'put' and new.state in ('open', 'uploaded'))
    execute function grants_upload_begun();
create trigger grants_live_long after insert or update of expires on grants for each row
    when (new.expires > new.day + 3)
    execute function grants_live_long();

insert into uploads_to_end (turl, item, day, due)
    select turl, item, day, expires from grants where operation = 'put' and state in ('open', 'uploaded')
    on conflict do nothing;
insert into days_kept (day, until)
    select day, max(expires)::date + 2 from grants
    where expires > day + 3 and expires > now() and expires < 'infinity' group by day;

-- A caller's requests, newest first, by the first item of each: not all items of all.
drop index grants_owner;
create index grants_requests on grants (owner, created) where item = 0;
create index grants_described on grants (owner, description, created) where item = 0 and description is not null;

-- Directories that were removed with all below them: cut off from the root, each goes by itself, a page at a time.
create table trees_to_remove (
    directory bigint primary key,
    since timestamptz not null default now(),
    due timestamptz not null default now(),
    attempts integer not null default 0,
    failure text,
    taken_by text
);
create index trees_to_remove_due on trees_to_remove (due);
