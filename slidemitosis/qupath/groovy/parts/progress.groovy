import groovy.transform.Field
import javafx.scene.control.Label
import javafx.scene.control.ProgressBar

/** The window that shows how far a run is; null where none is shown. */
@Field Map PROGRESS = null

/** Show how far this run is, with a button that cancels it as "Kill running script" does. */
void openProgress(Map place) {
    def running = Thread.currentThread()
    PROGRESS = inWindows {
        def label = new Label('starting')
        def bar = new ProgressBar(-1.0d)
        bar.setPrefWidth(420.0d)
        def cancel = buttonOf('Cancel') { running.interrupt() }
        def stage = windowOf("slidemitosis: ${place.name}".toString(), [label, bar], [cancel])
        // To close it is not to cancel: the run would go on unseen.
        stage.setOnCloseRequest { it.consume() }
        stage.show()
        [stage: stage, label: label, bar: bar, cancel: cancel]
    }
}

/** Say how far the run is; `fraction` is negative where that cannot be told. */
void tellProgress(CharSequence text, double fraction) {
    def shown = PROGRESS
    if (shown != null)
        inWindows {
            shown.label.setText(text.toString())
            shown.bar.setProgress(fraction)
        }
}

/** Take the button away: from now on things are changed. */
void endCancelling() {
    def shown = PROGRESS
    if (shown != null)
        inWindows { shown.cancel.setDisable(true) }
}

void closeProgress() {
    def shown = PROGRESS
    PROGRESS = null
    if (shown != null)
        javafx.application.Platform.runLater({ shown.stage.close() } as Runnable)
}
