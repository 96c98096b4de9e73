-- The audit trail is only added to. A seal names its rows in its index; audit.seal is of rows that were sealed before.

alter table audit_seals add column first_id bigint, add column last_id bigint;
-- Which seals may name a row: most name rows that lie together, some have late ones.
create index audit_seals_ids on audit_seals using gist (int8range(first_id, last_id, '[]'))
    where first_id is not null;

create table audit_sealing (
    only_row boolean primary key default true check (only_row),
    -- All ids up to it were looked at.
    upto bigint not null,
    -- Ids that had no row then, which may still come: [first, last, since, transaction], see `catalog/trail/unsealed.py`.
    waiting jsonb not null,
    -- The last seal that was pruned.
    pruned bigint not null default 0
);
-- Of what was sealed before, any row may be unsealed.
insert into audit_sealing (upto, waiting)
    select upto, case when upto > 0 then jsonb_build_array(jsonb_build_array(0, upto, 0, null)) else '[]' end
    from (select coalesce((select id from audit where seal is not null order by id desc limit 1), 0) as upto) sealed;

-- A mistake in this code, or a node of the version before that would seal in the old way, changes no row. Whoever owns
-- the database can switch it off: what they change then is found by `mdm audit verify`.
create function refuse_to_change_audit() returns trigger language plpgsql as $$
begin
    if tg_op = 'DELETE' and current_setting('mdm.pruning', true) = 'on' then
        return null;
    end if;
    raise exception 'the audit trail is only added to';
end $$;
create trigger audit_is_only_added_to before update or delete or truncate on audit
    for each statement execute function refuse_to_change_audit();
