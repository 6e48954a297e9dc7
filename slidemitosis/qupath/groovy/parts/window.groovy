import java.util.concurrent.ExecutionException
import java.util.concurrent.FutureTask
import javafx.application.Platform
import javafx.geometry.Insets
import javafx.scene.Scene
import javafx.scene.control.Button
import javafx.scene.layout.HBox
import javafx.scene.layout.VBox
import javafx.stage.Stage
import qupath.lib.gui.dialogs.ParameterPanelFX
import qupath.lib.plugins.parameters.ParameterList

import static qupath.lib.gui.scripting.QPEx.*

/** Return what `work` returns in the thread of the windows, to which all that they show belongs. */
Object inWindows(Closure work) {
    if (Platform.isFxApplicationThread())
        return work.call()
    def task = new FutureTask(work)
    Platform.runLater(task)
    try {
        return task.get()
    } catch (ExecutionException e) {
        throw e.getCause()
    }
}

/** Return a window that leaves QuPath usable, and goes with it; only in the thread of the windows. */
Stage windowOf(String title, List nodes, List<Button> buttons) {
    def row = new HBox(6.0d)
    row.getChildren().addAll(buttons)
    def box = new VBox(10.0d)
    box.setPadding(new Insets(12.0d))
    box.getChildren().addAll(nodes + row)
    def stage = new Stage()
    stage.initOwner(getQuPath().getStage())
    stage.setTitle(title)
    stage.setScene(new Scene(box))
    return stage
}

Button buttonOf(String text, Closure pressed) {
    def button = new Button(text)
    button.setOnAction { pressed.call() }
    return button
}

/** Show parameters as QuPath's own commands do, above a row of nodes; whether the person agrees. */
boolean confirmed(String title, ParameterList params, List row) {
    return inWindows {
        def below = new HBox(6.0d)
        below.getChildren().addAll(row)
        def box = new VBox(10.0d)
        box.getChildren().addAll([new ParameterPanelFX(params).getPane(), below])
        // Where QuPath's dialogs cannot be reached, what would be shown is taken.
        show { it.showConfirmDialog(title, box) } != false
    }
}
