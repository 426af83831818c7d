select extract(epoch from min(next_look) - clock_timestamp())::double precision as seconds
from schedule.trigger where next_look is not null
