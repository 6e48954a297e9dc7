"""Pages to look at: `report.html` of one slide and `cohort.html` of many, each one file that works offline.

- `choice`: which figures a page shows; `keeper`: their patches, kept while a slide is classified.
- `words`, `charts`: what is said of a rate, and the numbers behind the drawings.
- `slide_page`: summary, rows and pictures to HTML, pure; `cohort_page`: the same of a cohort's rows.
- `make`: the page of a folder, of kept pictures or of the slide read anew; `thumbnail`: the slide, small.

Uses outputs, reading, review and slides.
"""
