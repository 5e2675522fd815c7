-- Orders that follow the mark: how far behind it, and the best mark they had seen by the row that changed them last.
-- No record is rewritten.

alter table orders
    add column callback bigint not null default 0,  -- ppb
    add column extreme  bigint not null default 0;  -- ticks

alter type orders_record
    add attribute callback bigint,
    add attribute extreme  bigint;
