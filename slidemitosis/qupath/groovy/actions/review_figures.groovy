/*
 * slidemitosis in QuPath 0.4 to 0.8: look at the figures that a run has classified, one after the other, and say by one
 * key what each is. For research use only.
 *
 * Keys: A atypical, N normal, X no mitosis, U unsure, Z back to before the last answer, space the next figure. The
 * viewer goes to each figure. What is selected is answered: a figure that was double-clicked in the grid, or several.
 *
 * An answer is the object's class, and the measurement "Reviewed": why the figure was shown (1 all, 2 a random sample,
 * 3 doubt, 4 found). Later runs keep it, and count it. Save the image (File > Save) to keep it.
 */

import groovy.transform.Field
import javafx.application.Platform
import javafx.scene.control.Label
import qupath.lib.objects.hierarchy.events.PathObjectHierarchyListener
import qupath.lib.plugins.parameters.ParameterList

import static qupath.lib.gui.scripting.QPEx.*

// ---- Settings.

/** The class of figures, of which the answers are derived: "Mitosis: Atypical". */
@Field String CANDIDATE_CLASS = 'Mitosis'
/** How many figures a random sample has, until another number is given. */
@Field int SAMPLE = 50

// ---- What is done.

@Field String SCRIPT = 'review_figures'
/** The orders that can be chosen, and the reason that each gives an answer. */
@Field Map<String, String> ORDERS = [
    'the most doubtful first': 'doubt', 'all, by P(atypical)': 'all', 'a random sample': 'random',
    'those selected': 'found',
]

reported { Map place -> reviewFigures(place) }

String reviewFigures(Map place) {
    checkedImage(place)
    if (!place.alone)
        refuse('figures are reviewed in a window; run this on the image that is open')
    def figures = reviewable()
    if (figures.isEmpty())
        refuse('no figure of this image is classified; choose Classify mitoses or Import results first')
    def selection = getCurrentHierarchy().getSelectionModel()
    def selected = figures.findAll { selection.isSelected(it) }
    def orders = new ArrayList(ORDERS.keySet()).findAll { ORDERS[it] != 'found' || !selected.isEmpty() }
    def params = new ParameterList()
        .addChoiceParameter('order', 'Which figures', orders[0], orders, 'Only all, or a random sample, give a rate')
        .addIntParameter('sample', 'Size of the sample', SAMPLE, 'figures', 'Of a random sample')
    if (!confirmed('slidemitosis: review figures', params, []))
        return null
    def reason = ORDERS[params.getChoiceParameterValue('order')]
    openReview(place, queueOf(figures, selected, reason, params.getIntParameterValue('sample')), REASONS[reason])
    return null
}

/** Return what can be reviewed: the figures of a run, also those that a person says are none. */
List reviewable() {
    return figuresOf(getCurrentHierarchy())
}

/** Return the figures to show, in their order. An image has one sample, and a larger one begins with the smaller. */
List queueOf(List figures, List selected, String reason, int sample) {
    if (reason == 'found')
        return selected
    if (reason == 'all')
        return figures.sort(false) { -it.getMeasurementList().get('P(atypical)') }
    if (reason == 'doubt')
        return figures.sort(false) { -doubtOf(it) }
    def drawn = figures.sort(false) { it.getID().toString() }
    Collections.shuffle(drawn, new Random(1))
    return drawn.take(sample)
}

/** Return how doubtful a figure is: what the model says of experts, or how near P(atypical) is to the threshold. */
double doubtOf(object) {
    def list = object.getMeasurementList()
    def hard = list.get('P(experts disagree)')
    double threshold = list.get('Call threshold')
    if (!Double.isNaN(hard))
        return hard
    return 1 - Math.abs(list.get('P(atypical)') - threshold) / Math.max(threshold, 1 - threshold)
}

/** Open the panel that takes the keys, and the grid of the figures. */
void openReview(Map place, List queue, int reason) {
    def data = getCurrentImageData()
    def review = [data: data, queue: queue, reason: reason, undo: [], at: -1]
    inWindows {
        review.where = new Label('')
        review.lines = [new Label(''), new Label('')]
        def keys = [A: 'AMF', N: 'NMF', X: 'none', U: 'unsure']
        def names = [A: 'Atypical (A)', N: 'Normal (N)', X: 'No mitosis (X)', U: 'Unsure (U)']
        def buttons = keys.collect { key, word -> buttonOf(names[key]) { answerNow(review, word) } }
        buttons << buttonOf('Undo (Z)') { takeBackAnswer(review) }
        buttons << buttonOf('Next (space)') { nextFigure(review) }
        buttons << buttonOf('Show figures') { showFigures() }
        // The keys are for the panel, not for the button that was pressed last.
        buttons.each { it.setFocusTraversable(false) }
        def stage = windowOf("slidemitosis: review of ${place.name}".toString(), [review.where] + review.lines, buttons)
        stage.getScene().setOnKeyPressed { event ->
            def key = event.getCode().toString()
            if (keys.containsKey(key))
                answerNow(review, keys[key])
            else if (key in ['Z', 'BACK_SPACE'])
                takeBackAnswer(review)
            else if (key in ['SPACE', 'RIGHT'])
                nextFigure(review)
        }
        nextFigure(review)
        def follow = { Platform.runLater({ followChange(review) } as Runnable) } as PathObjectHierarchyListener
        data.getHierarchy().addListener(follow)
        stage.setOnHidden { data.getHierarchy().removeListener(follow) }
        stage.show()
        // Below the figure, which is in the middle of the viewer.
        def owner = getQuPath().getStage()
        stage.setX(owner.getX() + owner.getWidth() - stage.getWidth() - 20)
        stage.setY(owner.getY() + owner.getHeight() - stage.getHeight() - 20)
    }
}

/** Answer about what is selected, and go on where that is the figure of the queue. */
void answerNow(Map review, String word) {
    if (!isStillOpen(review))
        return
    def figures = reviewable()
    def chosen = figures.findAll { review.data.getHierarchy().getSelectionModel().isSelected(it) }
    if (chosen.isEmpty()) {
        review.where.setText('no figure is selected; press space for the next one')
        return
    }
    // Who answers about others than those that are shown has found them.
    int reason = chosen.every { it in review.queue } ? review.reason : REASONS.found
    review.undo << [back: answered(chosen, figures, word, reason), chosen: chosen]
    nextFigure(review)
}

void takeBackAnswer(Map review) {
    if (!isStillOpen(review) || review.undo.isEmpty())
        return
    def last = review.undo.remove(review.undo.size() - 1)
    def figures = reviewable()
    if (!last.chosen.every { object -> figures.any { it.is(object) } }) {
        review.undo.clear()
        review.where.setText('the objects are others since Edit > Undo, which takes back further answers too')
        return
    }
    last.back()
    review.at = review.queue.indexOf(last.chosen[0])
    goTo(review, last.chosen[0])
}

/** Go to the next figure of the queue that has no answer yet. */
void nextFigure(Map review) {
    if (!isStillOpen(review))
        return
    takeThoseOfNow(review)
    def bases = basesOf(review.queue)
    def order = review.queue.indices.collect { (review.at + 1 + it) % review.queue.size() }
    def next = order.find { isOpenYet(review, review.queue[it], bases) }
    review.at = next == null ? review.at : next
    goTo(review, next == null ? null : review.queue[next])
}

/** Show what has become of the figures. After QuPath's Undo go to the first that has no answer. */
void followChange(Map review) {
    if (!getQuPath().getImageData().is(review.data))
        return
    if (reviewable().toSet().containsAll(review.queue)) {
        showLines(review)
    } else {
        review.at = -1
        nextFigure(review)
    }
}

void showLines(Map review) {
    [review.lines, reviewLines(reviewable())].transpose().each { label, text -> label.setText(text) }
}

/** Look the figures of the queue up: QuPath's Undo puts others of the same ids in their place. */
void takeThoseOfNow(Map review) {
    def byId = reviewable().collectEntries { [it.getID(), it] }
    review.queue = review.queue.collect { byId[it.getID()] }.findAll { it != null }
}

/** Return whether a figure still wants an answer; one of a random sample wants it for that reason. */
boolean isOpenYet(Map review, object, Collection<String> bases) {
    return review.reason == REASONS.random ? object.getMeasurementList().get('Reviewed') != REASONS.random :
        answerOf(object, bases) == null
}

/** Show a figure in the viewer, and say what the model says of it; null: the review is done. */
void goTo(Map review, object) {
    showLines(review)
    if (object == null) {
        review.where.setText('every figure of this review has an answer: save the image, and classify it again')
        return
    }
    def list = object.getMeasurementList()
    def roi = object.getROI()
    def viewer = getQuPath().getViewer()
    review.data.getHierarchy().getSelectionModel().setSelectedObject(object)
    viewer.setDownsampleFactor(1d)
    viewer.setCenterPixelLocation(roi.getCentroidX(), roi.getCentroidY())
    review.where.setText("figure ${review.queue.indexOf(object) + 1} of ${review.queue.size()}: " +
        "${className(object)}, P(atypical) ${decimals(list.get('P(atypical)'), 3)}")
}

/** Return whether the viewer still shows the image that the review is about, and say so where it does not. */
boolean isStillOpen(Map review) {
    def open = getQuPath().getImageData().is(review.data)
    if (!open)
        review.where.setText('another image is open; this review is of the one before')
    return open
}

// parts: window, outcome, shown, answers, objects, classes, calls, summary, updates, image, report, batch, files
