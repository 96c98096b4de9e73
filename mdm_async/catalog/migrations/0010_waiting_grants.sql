-- A file to get may wait until it is online.
alter table grants drop constraint grants_state_check;
alter table grants add constraint grants_state_check check (
    state in ('queued', 'staging', 'pinned', 'open', 'uploaded', 'done', 'released', 'aborted', 'failed')
);
