-- How many rows were pruned with all seals up to audit_sealing.pruned.
alter table audit_sealing add column pruned_rows bigint not null default 0;
