-- The cache: images whose bytes were brought from archives, what they take of the quota, and when they were last used;
-- and those whose bytes are coming, which have set aside what they are going to take.
create table staged_images (
    image uuid primary key,
    bytes bigint not null check (bytes >= 0),
    used timestamptz not null default now(),
    -- While its bytes are coming: until when that is believed without another sign of life.
    coming_until timestamptz
);
create index staged_images_used on staged_images (used, image) where coming_until is null;
create index staged_images_coming on staged_images (coming_until) where coming_until is not null;

-- Their sums, so that nobody adds up all of them.
create table cache (
    only_row boolean primary key default true check (only_row),
    here bigint not null default 0,
    coming bigint not null default 0,
    images bigint not null default 0
);
insert into cache default values;

create function count_staged_images() returns trigger language plpgsql as $$
declare
    more_here bigint := 0;
    more_coming bigint := 0;
    more_images bigint := 0;
    counted record;
begin
    if TG_OP <> 'DELETE' then
        select coalesce(sum(bytes) filter (where coming_until is null), 0) as here,
            coalesce(sum(bytes) filter (where coming_until is not null), 0) as coming,
            count(*) filter (where coming_until is null) as images
            into counted from after_it;
        more_here := counted.here; more_coming := counted.coming; more_images := counted.images;
    end if;
    if TG_OP <> 'INSERT' then
        select coalesce(sum(bytes) filter (where coming_until is null), 0) as here,
            coalesce(sum(bytes) filter (where coming_until is not null), 0) as coming,
            count(*) filter (where coming_until is null) as images
            into counted from before_it;
        more_here := more_here - counted.here;
        more_coming := more_coming - counted.coming;
        more_images := more_images - counted.images;
    end if;
    if more_here <> 0 or more_coming <> 0 or more_images <> 0 then
        update cache set here = here + more_here, coming = coming + more_coming, images = images + more_images;
    end if;
    return null;
end $$;
-- Once a statement, after all its rows: whoever waits for the sums holds all the rows that he is going to.
create trigger staged_images_added after insert on staged_images referencing new table as after_it
    for each statement execute function count_staged_images();
create trigger staged_images_changed after update on staged_images
    referencing old table as before_it new table as after_it
    for each statement execute function count_staged_images();
create trigger staged_images_gone after delete on staged_images referencing old table as before_it
    for each statement execute function count_staged_images();

insert into staged_images (image, bytes, used)
    select i.id, coalesce(sum(p.cipher_size), 0), i.last_used from images i left join parts p on p.image = i.id
    where i.source is not null and i.locality = 'ONLINE_AND_NEARLINE' and i.doomed is null group by i.id;

-- What an image took when it was last here, or was found to need.
alter table sources add column bytes bigint;

-- Since when there is no room for an image that somebody waits for, and when that was last seen.
alter table images_to_stage add column full_since timestamptz, add column full_seen timestamptz;
create index images_to_stage_full on images_to_stage (full_since) where full_since is not null;

-- Whether an image is pinned is told by those of its grants that have not expired.
drop index grants_image;
create index grants_image on grants (image, expires) where operation = 'get';
