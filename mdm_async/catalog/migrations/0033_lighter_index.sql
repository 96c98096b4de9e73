-- Each value of a set and of an original was checked against its owner's row when it was written, dozens for an image.
-- What removes the owner removes them: nothing else writes here.
alter table meta_values drop constraint meta_values_set_fkey;
alter table blind_values drop constraint blind_values_image_fkey;
