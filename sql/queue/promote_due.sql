select queue.promote_due($1) as "promoted!"
