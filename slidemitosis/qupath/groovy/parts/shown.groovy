import javafx.scene.control.TextArea
import qupath.lib.gui.QuPathGUI
import qupath.lib.gui.commands.Commands
import qupath.lib.gui.commands.PathObjectGridView
import qupath.lib.gui.tools.GuiTools

import static qupath.lib.gui.scripting.QPEx.*

/** Show a result until it is closed. `folder`: that of the results. */
void showResult(Map place, File folder, List<String> lines) {
    def data = getCurrentImageData()
    inWindows {
        // Where nothing is set to open a folder or a page, QuPath's buttons do nothing, and only its log says so.
        def text = new TextArea((lines + "Files: ${folder}").join('\n'))
        text.setEditable(false)
        text.setWrapText(true)
        text.setPrefRowCount(lines.size() + 5)
        text.setPrefColumnCount(60)
        def report = new File(folder, 'report.html')
        def open = buttonOf('Open report') { GuiTools.browseURI(report.toURI()) }
        open.setDisable(!report.isFile())
        windowOf("slidemitosis: result of ${place.name}".toString(), [text], [
            buttonOf('Show figures') { showFigures() },
            buttonOf('Show table') { showTable(data) },
            open,
            buttonOf('Open folder') { GuiTools.browseDirectory(folder) },
        ]).show()
    }
}

/** Show the table of the kind of objects that the figures are. */
void showTable(data) {
    def figures = figuresOf(data.getHierarchy())
    if (figures.any { it.isDetection() } || figures.isEmpty())
        Commands.showDetectionMeasurementTable(QuPathGUI.getInstance(), data)
    else
        Commands.showAnnotationMeasurementTable(QuPathGUI.getInstance(), data)
}

/** Show QuPath's grid of the figures, the most doubtful first; a double-click goes to one. */
void showFigures() {
    def grid = PathObjectGridView.createGridView(QuPathGUI.getInstance(), { figuresOf(it) })
    def stage = grid.getStage()
    stage.setTitle('slidemitosis: figures')
    // QuPath 0.5 makes it as high as the grid is before it holds anything.
    stage.setHeight(600d)
    grid.show()
    grid.refresh()
    // QuPath has no other way to say by what the grid is sorted.
    def sorts = stage.getScene().getRoot().lookupAll('.combo-box').findAll { it.getItems().contains('P(atypical)') }
    sorts.each { box ->
        box.getSelectionModel().select(['P(experts disagree)', 'P(atypical)'].find { box.getItems().contains(it) })
    }
}

/** Return the figures of an image: what a run has classified. */
List figuresOf(hierarchy) {
    return new ArrayList(hierarchy.getAllObjects(false)).findAll {
        canBeCandidate(it) && !Double.isNaN(it.getMeasurementList().get('P(atypical)'))
    }
}
