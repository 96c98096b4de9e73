-- Pins of the cache that live longer than others: bytes that each keeps, and whose share they are of.
alter table grants add column keeper text, add column keeps bigint;

-- Their sums, by the hour in which they end, so that nobody adds up pins.
create table long_pins (
    ends timestamptz not null,
    keeper text not null,
    bytes bigint not null,
    primary key (ends, keeper)
);

create function count_long_pin(keeper_ text, expires timestamptz, more bigint) returns void language plpgsql as $$
begin
    -- Whoever changes several rows of a caller does so alone: the order of the rows is no matter.
    perform pg_advisory_xact_lock(hashtextextended('mdm long pins ' || keeper_, 0));
    insert into long_pins as l (ends, keeper, bytes)
        values (to_timestamp(ceil(extract(epoch from expires) / 3600) * 3600), keeper_, more)
        on conflict (ends, keeper) do update set bytes = l.bytes + excluded.bytes;
end $$;

create function count_long_pins() returns trigger language plpgsql as $$
begin
    if TG_OP <> 'INSERT' and old.keeps is not null and old.state in ('pinned', 'done') then
        perform count_long_pin(old.keeper, old.expires, -old.keeps);
    end if;
    if TG_OP <> 'DELETE' and new.keeps is not null and new.state in ('pinned', 'done') then
        perform count_long_pin(new.keeper, new.expires, new.keeps);
    end if;
    return null;
end $$;
create trigger grants_keep after insert on grants for each row
    when (new.keeps is not null) execute function count_long_pins();
create trigger grants_keep_otherwise after update on grants for each row
    when (old.keeps is not null or new.keeps is not null) execute function count_long_pins();
create trigger grants_keep_no_more after delete on grants for each row
    when (old.keeps is not null) execute function count_long_pins();
