select queue.answer_knocks() as "answered!"
