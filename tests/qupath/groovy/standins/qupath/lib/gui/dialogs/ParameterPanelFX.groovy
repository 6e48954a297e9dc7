package qupath.lib.gui.dialogs

import javafx.scene.layout.VBox
import qupath.lib.plugins.parameters.ParameterList
import standin.Session

/** Stand-in after QuPath's panel of parameters, which a person fills in. */
class ParameterPanelFX {
    final ParameterList parameters

    ParameterPanelFX(ParameterList parameters) {
        this.parameters = parameters
        Session.parameters = parameters
    }

    VBox getPane() {
        return new VBox()
    }
}
