-- Up to the first day that is held, not published, or not published for long enough.
update treasury.epoch
set state = 'final', finalised_at = now()
where state = 'published'
    and day < coalesce((
        select min(waiting.day)
        from treasury.epoch waiting
        left join unnest($1::integer[], $2::integer[]) as window_of (ruleset, hours) using (ruleset)
        where waiting.state <> 'final' and (
            waiting.state <> 'published'
            or waiting.published_at + make_interval(hours => window_of.hours) > now()
            or window_of.hours is null
            or exists (
                select from treasury.brake where brake.day <= waiting.day and brake.released_at is null
            )
        )
    ), 'infinity')
returning day
