"""What persons say of figures: their answers on disk, how answers are settled, and the page that asks.

- answers: one answer of a person; `review.csv` read and appended to
- settle: what all persons together say of each figure, wherever they have said it
- results: folders of results read again, with their answers
- count: the answers of folders of results counted anew, without their slides
- slides, order, pictures: what a review shows: figures of results, in an order, with their surroundings
- session, server, page/: one reader's review, and the page by which the browser of this computer shows it
- agreement: how far two readers agree
- objects: the answers as objects for QuPath

Uses candidates, prediction, rates, outputs and the rooms below these.
"""

from slidemitosis.review.answers import Answer, Answers, Shown, append_answer, read_answers

__all__ = ["Answer", "Answers", "Shown", "append_answer", "read_answers"]
