-- Whoever takes names from notes waits for those who name or reject images of their patients, in the order in which all
-- take these locks, and before any entry is locked. Of what is no note nothing is waited for.
create function lock_notes(images_ uuid[]) returns void language plpgsql as $$
begin
    perform pg_advisory_xact_lock(hashtext('mdm rejections'), one) from (
        select distinct one from rejection_notes n
            cross join lateral (select 0 union select * from patient_locks(n.image)) locks (one)
            where n.image = any(images_) order by one) ordered;
end $$;
