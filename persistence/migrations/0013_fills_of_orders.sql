-- A fill names the order that made it. No record is rewritten: the new column is null in all that there are.

set local statement_timeout = 0;

alter table fills add column order_number bigint;

-- The type of a fill as the writer sends it: with the order's number behind what every fill has.

drop type fills_record;

create type fills_record as (
    "offset"          bigint,
    n                 int,
    at                bigint,
    ticker            text,
    position_id       text,
    user_id           text,
    kind              text,
    lots              bigint,
    cost              bigint,
    quote_after       bigint,
    index_price       bigint,
    mark_price        bigint,
    pnl               bigint,
    funding           bigint,
    fee               bigint,
    referral          bigint,
    bad_debt          bigint,
    reason            text,
    order_number      bigint,
    leg               int,
    leverage          int,
    cash              bigint,
    margin            bigint,
    covered           bigint,
    wallet_balance    bigint,
    margin_balance    bigint,
    house_balance     bigint,
    insurance_balance bigint,
    fees_balance      bigint,
    referrer          text,
    referrer_balance  bigint
);

create index fills_of_order on fills (ticker, order_number, "offset", n) where order_number is not null;  -- what filled it
