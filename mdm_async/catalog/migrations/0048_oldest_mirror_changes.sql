-- How far a mirror is: what is sent for the first time is as old as the change that led there, whenever it is noted.
create index mirror_changes_oldest on mirror_changes (mirror, at);
