-- Macaroons are tokens whose bearers may what their makers may, within their caveats. They have no rights of their own:
-- a node of the version before, which knows none of the new columns, takes none for a local token, since nobody knows
-- what its hash is of.

alter table tokens
    add column macaroon uuid,
    -- Wrapped for this macaroon and what is beside it.
    add column root_key bytea,
    -- The principal who made it, and by what: nothing that is a credential by itself.
    add column maker text,
    add column shown bytea,
    -- The local token that made it, with which it ends.
    add column by_token bigint references tokens,
    add column caveats text[];
create index tokens_local on tokens (id) where macaroon is null;
create unique index tokens_macaroon on tokens (macaroon) where macaroon is not null;
create index tokens_macaroons_of on tokens (maker, expires) where macaroon is not null;
create index tokens_macaroons_by on tokens (by_token) where macaroon is not null;
create index tokens_macaroons_end on tokens (expires) where macaroon is not null;

-- Of a macaroon: the path and rights that its caveats leave.
alter table callers add column bound jsonb;
