-- Take-profit and stop-loss: two prices of a position, and the reason of a fill that one of them made.
--
-- No record is rewritten: the new columns are null in all that there are. A position that begins with one of them has its
-- record in `positions` at once, because its fill does not say it (0007).

set local statement_timeout = 0;

alter table fills add column reason text;

alter table positions
    add column take_profit bigint,  -- ticks
    add column stop_loss   bigint;

alter type positions_record
    add attribute take_profit bigint,
    add attribute stop_loss   bigint;

-- The type of a fill as the writer sends it: with the reason behind what every fill has.

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

create or replace view all_positions as
select fill.position_id                                as id,
       fill.user_id,
       fill.ticker,
       fill."offset"                                   as opened_offset,
       coalesce(changed."offset", fill."offset")       as "offset",
       coalesce(changed.status, 'open')                as status,
       coalesce(changed.opened_at, fill.at)            as opened_at,
       changed.closed_at,
       coalesce(changed.lots, fill.lots)               as lots,
       coalesce(changed.cash, fill.cash)               as cash,
       coalesce(changed.margin, fill.margin)           as margin,
       coalesce(changed.leverage, fill.leverage)       as leverage,
       coalesce(changed.entry_cost, abs(fill.cost))    as entry_cost,
       coalesce(changed.funding_paid, 0)               as funding_paid,
       coalesce(changed.entered_lots, fill.lots)       as entered_lots,
       coalesce(changed.entered_cost, abs(fill.cost))  as entered_cost,
       coalesce(changed.exited_lots, 0)                as exited_lots,
       coalesce(changed.exited_cost, 0)                as exited_cost,
       coalesce(changed.realized_pnl, 0)               as realized_pnl,
       coalesce(changed.fees, fill.fee)                as fees,
       fill.shard,
       changed.take_profit,
       changed.stop_loss
  from fills fill
  left join positions changed
    on changed.shard = fill.shard and changed.user_id = fill.user_id
   and changed.opened_offset = fill."offset" and changed.id = fill.position_id
 where fill.kind = 'open' and (fill.leverage is not null or changed.id is not null);
