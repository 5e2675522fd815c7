-- Orders that take from a position: which part of it a close closes. No record is rewritten: those that there are begin one.

alter table orders
    add column reduces boolean not null default false,
    add column share   bigint  not null default 0,  -- ppb of the position …
    add column lots    bigint  not null default 0;  -- … or lots

alter type orders_record
    add attribute reduces boolean,
    add attribute share   bigint,
    add attribute lots    bigint;
