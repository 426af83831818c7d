select queue.expire_approvals() as "expired!"
