-- An open is one record beside its journal row: its legs and its position follow from its fill.
--
-- A fill gets what they follow from: the money it moved and what each account held afterwards (perps/folding.py). Legs that
-- are no trade's, or not those of the pattern, stay in `legs`. A position gets its record in `positions` when it first
-- changes after its open.
--
-- No record is rewritten: the new columns are null in all that there are, and those have their legs in `legs` and their
-- position in `positions`. So every reader takes both: all_positions has every position, whatever it follows from.

set local statement_timeout = 0;

alter table fills
    add column leg               int,
    add column leverage          int,
    add column cash              bigint,
    add column margin            bigint,
    add column covered           bigint,
    add column wallet_balance    bigint,
    add column margin_balance    bigint,
    add column house_balance     bigint,
    add column insurance_balance bigint,
    add column fees_balance      bigint,
    add column referrer          text,
    add column referrer_balance  bigint;

alter type fills_record
    add attribute leg               int,
    add attribute leverage          int,
    add attribute cash              bigint,
    add attribute margin            bigint,
    add attribute covered           bigint,
    add attribute wallet_balance    bigint,
    add attribute margin_balance    bigint,
    add attribute house_balance     bigint,
    add attribute insurance_balance bigint,
    add attribute fees_balance      bigint,
    add attribute referrer          text,
    add attribute referrer_balance  bigint;

create index fills_of_referrer on fills (referrer, "offset", n) where referrer is not null;       -- what they brought in

-- Every position, as of the last row that changed it: found by the fill that began it.

create view all_positions as
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
       fill.shard
  from fills fill
  left join positions changed
    on changed.shard = fill.shard and changed.user_id = fill.user_id
   and changed.opened_offset = fill."offset" and changed.id = fill.position_id
 where fill.kind = 'open' and (fill.leverage is not null or changed.id is not null);
