-- Where the frames of pixels begin is a part of its own, of which no view has the bytes. Old rows need not be looked at.
alter table parts drop constraint parts_kind_check,
    add constraint parts_kind_check check (kind in ('original', 'head', 'pixels', 'tail', 'frames')) not valid;
