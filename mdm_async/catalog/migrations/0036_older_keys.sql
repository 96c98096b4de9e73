-- Registrations that an image had before wait here for key stores that are away: whose image they were. (null: of no
-- image that is there.)
alter table keys_to_forget add column image uuid;
create index keys_to_forget_of_image on keys_to_forget (image) where image is not null;
