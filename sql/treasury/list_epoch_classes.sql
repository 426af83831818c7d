select class, pool::text as "pool!", cap::text as "cap!", weight::text as "weight!", capped,
    paid::text as "paid!", carried::text as "carried!"
from treasury.epoch_class
where day = $1
