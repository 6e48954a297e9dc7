package qupath.lib.roi.interfaces

/** Stand-in after QuPath's ROI. */
interface ROI {
}
